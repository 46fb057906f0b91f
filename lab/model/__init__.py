"""What a method is made of: transformer, alphabet, weights, likelihood, and the machine that it runs on."""
