"""Words of a command line that are Beam's, and words that are nobody's."""

from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import StandardOptions

from lpe.pipeline.engine import runners
from lpe.pipeline.engine.beam_options import LOCAL_RUNNER, beam_options
from lpe.pipeline.jobs.spec import JobSpec
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms.errors import UsageError


def test_jobs_run_on_this_machine_by_default():
    assert runners.options(()) is None
    assert runners.is_local(None)
    options = runners.options(["--no_pipeline_type_check"])
    assert options.view_as(StandardOptions).runner.endswith(LOCAL_RUNNER)
    assert runners.is_local(options)


def test_a_number_of_processes_is_for_jobs_without_beam():
    with pytest.raises(
        UsageError, match="--workers 2: is for jobs on this machine without Beam; DirectRunner has"
    ):
        JobSpec(ReadSpec("synthetic:10"), "home/shapes", beam=("--runner=DirectRunner",), processes=2)


def test_options_are_fresh_each_time():
    first = beam_options(["--runner=FnApiRunner"])
    first.view_as(StandardOptions).runner = "changed"
    assert runners.name(beam_options(["--runner=FnApiRunner"])) == "FnApiRunner"


def test_an_unknown_word_is_refused_where_a_spec_is_made():
    with pytest.raises(UsageError, match="neither lpe nor Beam knows the option --runer=X; did you mean"):
        JobSpec(ReadSpec("synthetic:10"), "home/shapes", beam=("--runer=X",))


def test_a_bad_value_is_refused():
    with pytest.raises(UsageError, match="Beam's options: "):
        beam_options(["--num_workers=many"])
