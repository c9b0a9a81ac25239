// SPDX-License-Identifier: Apache-2.0

// Package brand holds the words by which the CDN shows itself to viewers and
// origins: header names and the strings in header values and error pages. They are
// in one place so that one flag can switch the whole set (design 3.12).
package brand

import "fmt"

// Brand is one set of words. It is a value; copies are cheap.
type Brand struct {
	// Name stands in User-Agent, Server, Via and error pages, for example Seafront.
	Name string
	// Word is Name as it stands in X-Cache values, for example seafront.
	Word string
	// ViaDomain is the domain of the pseudonyms in Via.
	ViaDomain string
	// Server is the value of Server where the origin sends none (D17.9).
	Server string
	// UserAgent replaces the viewer's towards origins (D15.2).
	UserAgent string
	// RequestID and Pop are header names (D22.3, D22.4).
	RequestID, Pop string
}

// BaseDomain is the default domain of generated host names. Names below localhost
// resolve to loopback in browsers and curl.
const BaseDomain = "seafront.localhost"

// Seafront is the project's own brand.
func Seafront() Brand {
	return Brand{
		Name: "Seafront", Word: "seafront", ViaDomain: "seafront.localhost",
		Server: "Seafront", UserAgent: "Seafront", RequestID: "X-Seafront-Id", Pop: "X-Seafront-Pop",
	}
}

// CloudFront is the brand for programs that look for that name.
func CloudFront() Brand {
	return Brand{
		Name: "CloudFront", Word: "cloudfront", ViaDomain: "cloudfront.net",
		Server: "CloudFront", UserAgent: "Amazon CloudFront", RequestID: "X-Amz-Cf-Id", Pop: "X-Amz-Cf-Pop",
	}
}

// Parse returns the brand of a flag's value.
func Parse(name string) (Brand, error) {
	switch name {
	case "seafront":
		return Seafront(), nil
	case "cloudfront":
		return CloudFront(), nil
	}
	return Brand{}, fmt.Errorf("brand %q: want seafront or cloudfront", name)
}

// XCache is the value of X-Cache for a result word such as Hit (D22.5).
func (b Brand) XCache(result string) string { return result + " from " + b.Word }

// Via is the value of Via under a pseudonym; version is 1.1 towards viewers and the
// viewer's own towards origins (D15.4, D22.2).
func (b Brand) Via(version, pseudonym string) string {
	return version + " " + pseudonym + "." + b.ViaDomain + " (" + b.Name + ")"
}
