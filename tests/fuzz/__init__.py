"""What anybody may send: the service answers each in bounded time and memory, and never breaks."""
