"""Doors of a few lines, kept because users type these paths; each calls the command of the same name in ``cli``."""
