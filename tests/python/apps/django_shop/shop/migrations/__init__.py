"""The second one fills the catalogue."""
