"""The charts of a training, from its stats.jsonl."""

from typing import Any, Dict, List, Sequence, Tuple

from stackgan.reporting.charts import Point, line_chart


def training_charts(
        stats: Sequence[Dict[str, Any]],     # the lines of stats.jsonl, each with a step
        name: str,                           # 'stage1' or 'stage2'; another: of an auxiliary one
) -> List[Tuple[str, str]]:
    """[(title, <svg> as text)]; the text is '' where there is nothing to draw yet."""
    def line(key: str) -> List[Point]:
        return [(each['step'], each[key]) for each in stats if key in each]

    if name not in ('stage1', 'stage2'):
        charts = [('Loss', [('loss', line('loss'))])]
    else:
        charts = [
            ('Losses', [('discriminator', line(name + '/discriminator')),
                        ('generator', line(name + '/generator_fake'))]),
            ('Discriminator loss by kind of pair', [(kind, line(f'{name}/discriminator_{kind}'))
                                                    for kind in ('real', 'wrong', 'fake')]),
            ('Conditioning loss (KL)', [('KL', line(name + '/kl'))]),
            ('Sliced Wasserstein distance to held-out images',
             [('distance', line('sliced_wasserstein'))]),
        ]
    return [(title, line_chart(series, 'step', title)) for title, series in charts]
