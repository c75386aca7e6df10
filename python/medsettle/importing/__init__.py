"""Import of files into a hub: what `medsettle import` stands on."""
