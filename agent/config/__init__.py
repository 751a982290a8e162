"""Configuration: what an operator may write (`schema`), and how it is read (`load`)."""
