"""How characters are drawn and where: what all samplers share."""
