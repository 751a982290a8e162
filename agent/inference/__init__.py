"""Detection on pictures: ONNX session, the output layouts of model families, letterbox, NMS, tiling, shipped models."""
