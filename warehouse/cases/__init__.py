"""Cases of the license plane: what people decide about the flags of an install or a key."""
