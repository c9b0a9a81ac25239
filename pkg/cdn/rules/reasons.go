// SPDX-License-Identifier: Apache-2.0

package rules

// Reasons of this package's violations (C2.173 ff.). All but the first stand for
// INVALID_ARGUMENT.
const (
	ReasonUnsupported           = "UNSUPPORTED_OPERATION"              // C2.185
	ReasonInvalid               = "INVALID_ARGUMENT"                   // C2.178
	ReasonUnknownEnum           = "UNKNOWN_ENUM_VALUE"                 // C6.60
	ReasonIllegalUpdate         = "ILLEGAL_UPDATE"                     // C2.183
	ReasonInvalidTagging        = "INVALID_TAGGING"                    // C2.186
	ReasonNoSuchOrigin          = "NO_SUCH_ORIGIN"                     // C2.190
	ReasonInvalidRootObject     = "INVALID_DEFAULT_ROOT_OBJECT"        // C2.241
	ReasonInvalidOrigin         = "INVALID_ORIGIN"                     // C2.242
	ReasonInvalidReadTimeout    = "INVALID_ORIGIN_READ_TIMEOUT"        // C2.247
	ReasonInvalidKeepalive      = "INVALID_ORIGIN_KEEPALIVE_TIMEOUT"   // C2.248
	ReasonInvalidRelativePath   = "INVALID_RELATIVE_PATH"              // C2.249
	ReasonInvalidErrorCode      = "INVALID_ERROR_CODE"                 // C2.251
	ReasonHeadersForS3Origin    = "INVALID_HEADERS_FOR_S3_ORIGIN"      // C2.255
	ReasonTooManyOrigins        = "TOO_MANY_ORIGINS"                   // C2.267
	ReasonTooManyCacheBehaviors = "TOO_MANY_CACHE_BEHAVIORS"           // C2.269
	ReasonTooManyAliases        = "TOO_MANY_DISTRIBUTION_CNAMES"       // C2.270
	ReasonBatchTooLarge         = "BATCH_TOO_LARGE"                    // C2.295
	ReasonTooManyInvalidations  = "TOO_MANY_INVALIDATIONS_IN_PROGRESS" // C2.322
	ReasonTooManyCustomHeaders  = "TOO_MANY_ORIGIN_CUSTOM_HEADERS"     // C2.271
	ReasonTooLarge              = "ENTITY_SIZE_LIMIT_EXCEEDED"         // C2.296
)
