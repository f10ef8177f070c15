"""What waits in a mailbox, what can be done to it, and dead letters."""
