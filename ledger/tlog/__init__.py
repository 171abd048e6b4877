"""Anyone can check: a transparency log over the events, in open formats. Pure code, no store and no clock.

leaves       what stands in the tree for an event
tree         hashes, roots, inclusion and consistency proofs (RFC 6962)
frontier     what of a tree is enough to let it grow
tiles        how a tree is kept and served (C2SP tlog-tiles)
keys         who signs (C2SP signed-note, tlog-cosignature)
notes        texts with signatures (C2SP signed-note)
checkpoints  what a log signs (C2SP tlog-checkpoint)
policies     who must have signed (C2SP tlog-policy)
proofs       one event's proof as a file (C2SP tlog-proof)
bundles      a dossier with all its proofs, and how many events it has
verify       all of this once more, in one file for whoever trusts none of the others
"""
