"""Reports of cells as pages of HTML or PDF: what is stored, drawn and told; nothing else."""
