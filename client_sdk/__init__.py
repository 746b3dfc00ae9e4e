"""The clients that modules ship. `pharos sdk` writes them out; nothing here is imported by Pharos."""
