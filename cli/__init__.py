"""Every command, one file each; ``main`` binds them as ``battery-analysis``."""
