"""What all packs of the platform share. A link in each pack leads here; `cp -rL` makes a pack that stands alone."""
