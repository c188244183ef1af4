"""Questions that have a name, one SQL file each."""
