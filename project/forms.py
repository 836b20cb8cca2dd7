"""How every form of the site is drawn."""

from __future__ import annotations

from django.forms.renderers import TemplatesSetting


class Renderer(TemplatesSetting):
    """Label, help, control, error: in this order, from templates/forms/."""

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"
