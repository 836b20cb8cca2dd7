"""The mail server's own pages: the queue, and what RELAY=mailbox caught."""
