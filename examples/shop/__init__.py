"""A shop of small services, each a process of its own. README.md has the picture and what is true of each call."""
