"""A coastal radar: physics, video, its spokes on the network, and the targets its ARPA reports."""
