"""Who is calling: certificates, the actor they name and the list of those that no longer count."""
