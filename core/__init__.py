"""The base of all parts: settings, home, field table, catalog, credentials, access log, logs."""
