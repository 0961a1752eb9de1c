package seal

import "encoding/hex"

// Raw is a content key in hexadecimal, for the vectors.
func Raw(k *Key) string { return hex.EncodeToString(k.raw[:]) }
