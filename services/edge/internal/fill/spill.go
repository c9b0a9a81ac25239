// SPDX-License-Identifier: Apache-2.0

package fill

// spillAt spills bytes that have just come, if the body is not kept. Only Copy, which
// calls it, makes the body pass, so passing needs no lock here.
func (f *Fill[H]) spillAt(b []byte) error {
	if !f.passing || f.spill == nil || len(b) == 0 {
		return nil
	}
	return f.spill(b)
}

// spillKept spills what was kept so far, because it is not going to be.
func (f *Fill[H]) spillKept() error {
	if f.passing || f.spill == nil {
		return nil
	}
	for i, c := range f.chunks { // only Copy changes them while the body is kept
		if i == len(f.chunks)-1 {
			c = c[:f.tail]
		}
		if err := f.spill(c); err != nil {
			return err
		}
	}
	return nil
}
