"""What is seen: the read API and the Dash pages, both on the queries of the warehouse."""
