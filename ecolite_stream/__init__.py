"""Live action recognition with ECO-Lite beside real cameras."""

__version__ = "0.1.0"
