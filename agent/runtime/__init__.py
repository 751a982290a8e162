"""The running daemon: sensor workers, the core thread, children, supervision, health, systemd."""
