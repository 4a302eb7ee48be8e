"""The command line: arguments, one function per command, and the tables that are printed."""
