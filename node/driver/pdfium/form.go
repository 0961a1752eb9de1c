package pdfium

import (
	"fmt"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/structs"
)

// fillIn has what was typed into the file's form drawn with its pages. Nothing in the file
// can act: every callback is empty.
func (d *device) fillIn() error {
	form, err := d.pdf.FPDFDOC_InitFormFillEnvironment(&requests.FPDFDOC_InitFormFillEnvironment{
		Document: d.document,
		FormFillInfo: structs.FPDF_FORMFILLINFO{
			FFI_Invalidate:         func(references.FPDF_PAGE, float64, float64, float64, float64) {},
			FFI_SetCursor:          func(enums.FXCT) {},
			FFI_SetTimer:           func(int, func(int)) int { return 0 },
			FFI_KillTimer:          func(int) {},
			FFI_GetLocalTime:       func() structs.FPDF_SYSTEMTIME { return structs.FPDF_SYSTEMTIME{} },
			FFI_GetPage:            func(references.FPDF_DOCUMENT, int) *references.FPDF_PAGE { return nil },
			FFI_GetCurrentPage:     func(references.FPDF_DOCUMENT) *references.FPDF_PAGE { return nil },
			FFI_GetRotation:        func(references.FPDF_PAGE) enums.FPDF_PAGE_ROTATION { return enums.FPDF_PAGE_ROTATION_NONE },
			FFI_ExecuteNamedAction: func(string) {},
		},
	})
	if err != nil {
		return fmt.Errorf("reading the file's form: %w", err)
	}
	d.form = form.FormHandle
	return nil
}

// drawForm draws the form's fields over a strip.
func (r *raster) drawForm(flags enums.FPDF_RENDER_FLAG) error {
	_, err := r.d.pdf.FPDF_FFLDraw(&requests.FPDF_FFLDraw{
		FormHandle: r.d.form, Bitmap: r.bitmap, Page: requests.Page{ByReference: &r.page},
		StartY: -r.row, SizeX: r.width, SizeY: r.height, Flags: flags,
	})
	return err
}
