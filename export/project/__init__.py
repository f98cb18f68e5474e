"""Project directories: their files, manifest and golden vectors."""
