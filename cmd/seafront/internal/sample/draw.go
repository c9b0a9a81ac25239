// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
)

// Size of the picture.
const (
	width  = 960
	height = 360
)

// harbour draws the picture of the front page: a sky at dusk, the sea and a boat.
func harbour() ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	horizon := height * 6 / 10
	for y := range height {
		for x := range width {
			img.SetRGBA(x, y, pixel(x, y, horizon))
		}
	}
	boat(img, width*2/3, horizon+8)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func pixel(x, y, horizon int) color.RGBA {
	if y < horizon {
		dx, dy := float64(x-width/4), float64(y-horizon)
		if dx*dx+dy*dy < 70*70 {
			return color.RGBA{255, 214, 140, 255} // the sun
		}
		t := float64(y) / float64(horizon)
		return blend(color.RGBA{24, 48, 92, 255}, color.RGBA{242, 140, 92, 255}, t)
	}
	t := float64(y-horizon) / float64(height-horizon)
	wave := 0.12 * math.Sin(float64(x)/(9+20*t)+float64(y)/3)
	return blend(color.RGBA{196, 120, 92, 255}, color.RGBA{10, 50, 74, 255}, math.Min(1, math.Max(0, t+wave)))
}

func boat(img *image.RGBA, x, y int) {
	hull, sail := color.RGBA{40, 24, 20, 255}, color.RGBA{250, 244, 230, 255}
	for i := range 14 {
		for dx := -45 + i; dx <= 45-i; dx++ {
			img.SetRGBA(x+dx, y+i, hull)
		}
	}
	for i := range 80 {
		for dx := 0; dx <= (80-i)*2/5; dx++ {
			img.SetRGBA(x+3+dx, y-4-i, sail)
		}
	}
}

func blend(a, b color.RGBA, t float64) color.RGBA {
	mix := func(x, y uint8) uint8 { return uint8(float64(x) + (float64(y)-float64(x))*t) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// noise yields the same bytes each time; they do not compress.
func noise() io.Reader { return rand.NewChaCha8([32]byte{'s', 'e', 'a'}) }
