"""Goals for the admission control of a board, as the documents that it understands."""
