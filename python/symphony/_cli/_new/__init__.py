"""`symphony new`: where an extension is put, what is written, and how its program is built."""
