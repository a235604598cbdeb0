"""`symphony serve`: the system as one MCP server on stdio; its clients share one system, in a process of its own."""
