"""`symphony top`: finds the systems that run, asks each for its figures, and shows them."""
