"""The way of a beacon: HTTP, validation, planes, spool, loader."""
