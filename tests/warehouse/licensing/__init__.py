"""The rules of licensing evidence, and the flags that follow from them."""
