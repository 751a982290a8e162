"""Cameras: one source of frames per kind of URL (rtsp, http, https, v4l2, file), all with the same promises."""
