"""What the measurements share: the processes, the load, what is heard of the proxy, the table."""
