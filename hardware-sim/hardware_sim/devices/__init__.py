"""The outsides of the devices: sockets, pseudo-terminals, an HTTP camera."""
