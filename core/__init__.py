"""What every part stands on: settings, home, field table, catalog, credentials, access log, logs."""
