"""Records as real systems send them: the shapes of implementation guides, and what is wrong with them."""
