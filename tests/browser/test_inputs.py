"""No click and no input is lost."""

from __future__ import annotations

import json
import os
import shlex
import subprocess

from playwright.sync_api import expect

from tests.browser.admin_site import SECTION, AdminSite, fill_form, preview

YEAR = ("2020-07-01", "2021-06-30")


def test_a_click_after_typing_districts_reaches_the_button_and_the_form_is_kept_over_a_sign_out(
    admin_site: AdminSite,
) -> None:
    page = admin_site.open(viewport={"width": 375, "height": 800})
    fill_form(page, "2020-07-01", "2020-07-31")
    preview(page)  # now the calendar is known
    page.goto(SECTION)
    expect(page.locator("#bf-from")).to_have_value("2020-07-01")
    page.fill("#bf-districts-text", "1, 3, F")
    button = page.locator("#bf-preview-button")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 8, box["y"] + 3)
    page.mouse.down()
    page.wait_for_timeout(150)
    page.mouse.up()
    expect(page.locator("#bf-dialog")).to_contain_text("3: 1, 3 and F")
    page.keyboard.press("Escape")
    expect(page.locator("#bf-district-count")).to_have_text("3 chosen")
    preset = page.locator("#bf-preset-last-close")
    width = preset.evaluate("(chip) => chip.offsetWidth")
    preset.click()
    expect(preset).to_have_attribute("aria-pressed", "true")
    assert preset.evaluate("(chip) => chip.offsetWidth") == width

    fill_form(page, *YEAR)
    page.uncheck("[name=skip_existing]")
    page.locator("#logout-form button").click()
    page.goto(SECTION)
    page.fill("#id_username", "operator")
    page.fill("#id_password", "operator")
    page.click("[type=submit]")
    expect(page.locator("#bf-from")).to_have_value(YEAR[0])
    expect(page.locator("#bf-district-count")).to_have_text("3 chosen")
    expect(page.locator("[name=skip_existing]")).not_to_be_checked()


def test_the_dialog_cannot_start_a_plan_while_a_job_is_active_and_an_address_opens_the_form(
    admin_site: AdminSite,
) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    job = admin_site.client.start(*YEAR, cadence="month-ends", skipExisting=False)["jobId"]
    page = admin_site.open()
    expect(page.locator("#bf-start")).not_to_have_attribute("open", "")
    page.goto(f"{SECTION}?from=2020-07-01&to=2020-07-31#start")
    expect(page.locator("#bf-start")).to_have_attribute("open", "")
    preview(page)
    confirm = page.locator("#bf-confirm")
    expect(confirm).to_be_disabled()
    expect(page.locator("#bf-confirm-blocked")).to_contain_text("Start is possible when the")
    admin_site.client.ask("DELETE", f"/api/admin/backfill/{job}")
    expect(confirm).to_be_enabled(timeout=20_000)
    expect(page.locator("#bf-confirm-blocked")).to_have_text("")


def test_failed_items_cannot_be_retried_while_another_job_is_active(admin_site: AdminSite) -> None:
    admin_site.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~03~"})
    failed = admin_site.client.start("2022-09-01", "2022-09-30", cadence="month-ends", skipExisting=False)["jobId"]
    admin_site.client.ended(failed)
    admin_site.client.set_limits(maxRequestsPerMinute=120)
    admin_site.client.start(*YEAR, cadence="month-ends", skipExisting=False)
    page = admin_site.open(f"{SECTION}jobs/{failed}/")
    expect(page.locator("#bf-retry-all")).to_be_disabled()
    expect(page.locator("#bf-job-status")).to_contain_text("A retry is possible when the active job has ended.")


def test_copied_commands_start_the_job_of_the_form(admin_site: AdminSite) -> None:
    page = admin_site.open()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    fill_form(page, "2020-07-01", "2020-07-31")
    page.fill("#bf-districts-text", "1-2")
    page.uncheck("[name=skip_existing]")
    page.locator("#bf-commands > summary").click()
    copied = []
    for what in ("the command line", "the curl command"):
        page.get_by_role("button", name=f"Copy {what}").click()
        expect(page.locator("#bf-toast")).to_have_text("Copied.")
        copied.append(page.evaluate("() => navigator.clipboard.readText()"))
    command, curl = copied
    assert command == (
        "manage.py backfill start --type data-collection --from 2020-07-01 --to 2020-07-31 --district 01 "
        "--district 02 --cadence month-ends --no-skip-existing"
    )
    done = admin_site.site.manage(*shlex.split(command)[1:], "--json")
    by_command = json.loads(done.stdout)
    admin_site.client.ended(by_command["jobId"])
    environment = {**os.environ, "TOKEN": admin_site.client.token}
    answer = subprocess.run(["sh", "-c", f"{curl} -s"], env=environment, capture_output=True, text=True, check=True)
    by_curl = json.loads(answer.stdout)
    assert by_curl["config"] == by_command["config"]

    admin_site.client.ended(by_curl["jobId"])
    page.goto(f"{SECTION}jobs/{by_curl['jobId']}/")
    page.get_by_role("button", name="Copy the job id").click()
    expect(page.locator("#bf-toast")).to_have_text("Copied.")
    assert page.evaluate("() => navigator.clipboard.readText()") == by_curl["jobId"]
