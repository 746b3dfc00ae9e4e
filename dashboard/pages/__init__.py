"""The pages: each a layout without data, and the callbacks that fill it."""
