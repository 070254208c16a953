"""An embedding for every caption, from the text encoder or precomputed with the dataset."""

from .engine.contract import Job, Work
from .engine.outputs import prepared_input, run_folder, text_encoder_inputs


def _run(work: Work) -> None:
    from stackgan.platforms.parts import Parts
    from stackgan.text.encoder import embed_dataset, link_precomputed_embeddings
    parts = Parts(work.workers)
    if 'text-encoder' in work.inputs:
        embed_dataset(work.inputs['prepared'], work.inputs['text-encoder'], work.folder,
                      work.config.platform, parts)
    elif parts.rank == 0:
        link_precomputed_embeddings(work.inputs['prepared'], work.folder,
                                    work.config.model.embedding_dim)


JOB = Job(
    name='embed',
    summary='embed every caption of the dataset',
    output=lambda config: run_folder(config, 'embeddings'),
    inputs=lambda config, volume: [prepared_input(config)] + text_encoder_inputs(config, volume),
    settings=lambda config: {'model': {'embedding_dim': config.model.embedding_dim}},
    run=_run,
    takes_workers=True,
)
