"""What speaks to AWS, on a moto server and a Glue of this machine."""
