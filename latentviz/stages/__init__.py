"""One file per command; each tells what the command does from top to bottom."""
