"""Frame in, frame or number out. Pure: no database, file, plot or clock."""
