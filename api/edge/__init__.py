"""What stands before every route: who may ask how often, what a request and its answer are let through with."""
